import {
  copyFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeProgram } from './device-host.ts';

/**
 * A folder in which somebody has laid whatever a careless program would run or load from where it is started, from the
 * home folder, or from where its environment points. Each piece that runs leaves its name.
 */
export class PlantedFolder {
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-planted-'));
  readonly #traces = join(this.folder, 'ran');
  /** Shifts the clock of a program that loads it, by `.faketimerc` in the home folder. */
  readonly library = join(this.folder, 'libplanted.so');
  readonly preloaded = join(this.folder, 'preloaded.cjs');

  constructor() {
    const { folder } = this;
    mkdirSync(this.#traces);
    this.#write('preloaded.cjs', this.#script('preloaded.cjs'));
    this.#write('loader.mjs', this.#script('loader.mjs', 'import'));
    this.#write('profile.sh', `touch '${this.#traces}/profile.sh'`);
    this.#write('.env', 'NODE_OPTIONS=--require=./preloaded.cjs\n');
    this.#write('node.config.json', '{"nodeOptions":{"import":["./loader.mjs"]}}');
    this.#write('package.json', '{"type":"module","main":"loader.mjs"}');
    this.#write('openssl.cnf', 'openssl_conf = planted\n[planted]\nengines = x\n');
    this.#write('ca.pem', 'no certificate');
    for (const modules of ['node_modules', '.node_modules', '.node_libraries']) {
      const name = `${modules}/koffi`;
      this.#write(`${name}/index.js`, this.#script(modules));
      this.#write(`${name}/package.json`, '{"name":"koffi","main":"index.js"}');
    }
    for (const name of ['node', 'env', 'sh', 'exec', 'countersign', 'ioreg', 'cat']) {
      writeProgram(folder, name, `touch '${this.#traces}/program-${name}'`);
    }
    for (const name of ['.profile', '.bashrc', '.shinit']) {
      this.#write(name, `touch '${this.#traces}/${name}'`);
    }
    copyFileSync(findFaketimeLibrary(), this.library);
    this.#write('.faketimerc', '-400d\n');
  }

  /** An environment that points into the folder wherever a shell, a loader, Node or OpenSSL would look. */
  get environment(): Readonly<Record<string, string>> {
    const { folder, library, preloaded } = this;
    return {
      HOME: folder,
      PATH: `${folder}:.`,
      LD_PRELOAD: library,
      LD_LIBRARY_PATH: folder,
      NODE_OPTIONS: `--require=${preloaded} --import=${join(folder, 'loader.mjs')}`,
      NODE_PATH: join(folder, 'node_modules'),
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      NODE_V8_COVERAGE: join(folder, 'coverage'),
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
      NODE_REDIRECT_WARNINGS: join(folder, 'warnings'),
      NODE_DEBUG: 'module',
      SSL_CERT_FILE: join(folder, 'ca.pem'),
      OPENSSL_CONF: join(folder, 'openssl.cnf'),
      OPENSSL_MODULES: folder,
      OPENSSL_ENGINES: folder,
      ENV: join(folder, 'profile.sh'),
      BASH_ENV: join(folder, 'profile.sh'),
      CDPATH: folder,
      IFS: '/',
      HTTPS_PROXY: 'http://127.0.0.1:9',
      TMPDIR: folder,
      COUNTERSIGN_ENROLLMENT_TOKEN: 'from the environment',
    };
  }

  /** What has run so far. */
  get ran(): readonly string[] {
    return readdirSync(this.#traces);
  }

  /** Files that a program has left, apart from those. */
  get entries(): readonly string[] {
    return readdirSync(this.folder).sort();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  #write(name: string, text: string): void {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  #script(name: string, kind: 'require' | 'import' = 'require'): string {
    const write = `writeFileSync(${JSON.stringify(join(this.#traces, name))}, '');`;
    return kind === 'require'
      ? `const { writeFileSync } = require('node:fs');\n${write}`
      : `import { writeFileSync } from 'node:fs';\n${write}`;
  }
}

/** What `faketime` preloads. */
function findFaketimeLibrary(): string {
  const [library] = globSync('/usr/lib*/{,*/}faketime/libfaketime.so.1');
  if (library === undefined) throw new Error('the package faketime is not installed');
  return library;
}
