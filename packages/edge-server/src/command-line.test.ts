import { describe, expect, it } from 'vitest';
import { parseCommandLine, usage } from './command-line.ts';

const optionsOf = (args: string[], environment: Record<string, string> = {}) => {
  const parsed = parseCommandLine(args, environment);
  if (parsed.action !== 'serve') throw new Error(`not served: ${JSON.stringify(parsed)}`);
  return parsed.options;
};

describe('parseCommandLine', () => {
  it('needs nothing', () => {
    expect(optionsOf([])).toEqual({ dataDirectory: '.countersign' });
  });

  it('takes every flag', () => {
    const args =
      '--data /d --host ::1 --http-port 1 --tls-port 2 --broker-url https://b.example --shards 8 ' +
      '--mtls-url https://m.example --front-socket /s --pki-url http://p.example --pki-listen [::]:80 ' +
      '--tls-certificate c.pem --tls-key k.pem --tls-name a.example --tls-name b.example --worker w.js --log text ' +
      '--syslog siem.example:6514 --syslog-ca s.pem';
    expect(optionsOf(args.split(' '))).toEqual({
      dataDirectory: '/d',
      host: '::1',
      httpPort: 1,
      tlsPort: 2,
      brokerUrl: 'https://b.example',
      mtlsUrl: 'https://m.example',
      pkiUrl: 'http://p.example',
      pkiListen: { host: '::', port: 80 },
      frontSocket: '/s',
      shardCount: 8,
      tlsFiles: { certificateFile: 'c.pem', keyFile: 'k.pem' },
      tlsNames: ['a.example', 'b.example'],
      workerBundle: 'w.js',
      logFormat: 'text',
      syslog: { receiver: 'siem.example:6514', authoritiesFile: 's.pem' },
    });
  });

  it('takes the environment where there is no flag, and nothing from an empty variable', () => {
    const environment = {
      COUNTERSIGN_DATA: '/e',
      COUNTERSIGN_HTTP_PORT: '4',
      COUNTERSIGN_TLS_PORT: '5',
      COUNTERSIGN_HOST: '',
      COUNTERSIGN_SYSLOG: 'siem:1',
    };
    expect(optionsOf(['--http-port', '6'], environment)).toEqual({
      dataDirectory: '/e',
      httpPort: 6,
      tlsPort: 5,
      syslog: { receiver: 'siem:1' },
    });
  });

  it.each([
    [['--prot', '1'], '--prot'],
    [['extra'], 'extra'],
    [['--http-port', '80x'], '--http-port must be a number, not "80x"'],
    [['--http-port', '-1'], '--http-port'],
    [['--shards', '1e3'], '--shards must be a number'],
    [['--log', 'xml'], '--log must be json or text'],
    [['--tls-key', 'k.pem'], 'together'],
    [['--syslog-ca', 's.pem'], '--syslog-ca belongs to --syslog'],
  ])('refuses %j', (args, part) => {
    const parsed = parseCommandLine(args, {});
    expect(parsed).toMatchObject({
      action: 'refuse',
      message: expect.stringContaining(part),
    });
  });

  it('takes the other thing that it can do', () => {
    const args = [
      '--data',
      '/d',
      '--print-cloudflare-secrets',
      '--broker-url',
      'https://b.example',
    ];
    expect(parseCommandLine(args, {})).toEqual({
      action: 'print_cloudflare_secrets',
      options: { dataDirectory: '/d', brokerUrl: 'https://b.example' },
    });
  });

  it('rotates keys: all or some, at their pace or at once, here or on Cloudflare', () => {
    const options = { dataDirectory: '/d' };
    expect(parseCommandLine(['rotate-keys', '--data', '/d'], {})).toEqual({
      action: 'rotate_keys',
      options,
      request: {
        purposes: ['challenge', 'mtls-evidence', 'decision', 'response', 'audit'],
        atOnce: false,
      },
      forCloudflare: false,
    });
    const args = 'rotate-keys --data /d --now --purpose decision --purpose response'.split(' ');
    expect(parseCommandLine([...args, '--print-cloudflare-secrets'], {})).toEqual({
      action: 'rotate_keys',
      options,
      request: { purposes: ['decision', 'response'], atOnce: true },
      forCloudflare: true,
    });
    expect(parseCommandLine(['rotate-keys', '--purpose', 'root'], {})).toMatchObject({
      action: 'refuse',
      message: expect.stringContaining(
        'one of challenge, mtls-evidence, decision, response, audit',
      ),
    });
    expect(parseCommandLine(['--now'], {})).toMatchObject({
      action: 'refuse',
      message: expect.stringContaining('belong to rotate-keys'),
    });
  });

  it('is told how old keys may become', () => {
    const timesOf = (days: string) => optionsOf(['--rotate-keys-days', days]).keyRotation;
    expect(timesOf('30')).toEqual({ everyMs: 30 * 86_400_000 });
    expect(timesOf('0')).toEqual({ everyMs: undefined });
    expect(optionsOf([], { COUNTERSIGN_ROTATE_KEYS_DAYS: '1' }).keyRotation).toEqual({
      everyMs: 86_400_000,
    });
    expect(parseCommandLine(['--rotate-keys-days', '4000'], {})).toMatchObject({
      action: 'refuse',
    });
  });

  it('describes every environment variable that it reads', () => {
    const read: string[] = [];
    const environment = new Proxy<Record<string, string>>(
      {},
      {
        get: (_target, name) => {
          read.push(String(name));
          return undefined;
        },
      },
    );
    parseCommandLine([], environment);
    expect(read.length).toBeGreaterThan(8);
    expect(read.filter((name) => !usage.includes(name))).toEqual([]);
    expect(parseCommandLine(['--help'], {})).toEqual({ action: 'help' });
  });

  it.each([
    ['80', { host: '127.0.0.1', port: 80 }],
    ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
    ['pki.corp:8080', { host: 'pki.corp', port: 8080 }],
  ])('listens for publication at %s', (value, pkiListen) => {
    const args = ['--pki-url', 'http://p.example', '--pki-listen', value];
    expect(parseCommandLine(args, {})).toMatchObject({ options: { pkiListen } });
  });

  it.each(['http', ':80', '::1:80', '[::1]', 'a:b:80'])('refuses to listen at %s', (value) => {
    expect(parseCommandLine(['--pki-listen', value], {})).toMatchObject({
      action: 'refuse',
      message: expect.stringContaining('--pki-listen must be PORT, or ADDRESS:PORT'),
    });
  });
});
