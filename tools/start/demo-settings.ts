import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** What `npm start` and `pnpm dev` can be told: by flags (`npm start -- --http-port 9000`) or by the environment. */
export type DemoSettings = {
  /** Absolute. */
  readonly dataDirectory: string;
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly samplePort: number;
};

/** Which of the two commands reads its settings. */
export type DemoCommand = { readonly command: string; readonly dataDirectory: string };

export const usageOf = ({ command, dataDirectory }: DemoCommand) => `Usage: ${command} [options]

  --data FOLDER        COUNTERSIGN_DATA         data folder, made on the first start   ./${dataDirectory}
  --http-port PORT     COUNTERSIGN_HTTP_PORT    the broker                             8780
  --tls-port PORT      COUNTERSIGN_TLS_PORT     the broker, with client certificates   8743
  --sample-port PORT   COUNTERSIGN_SAMPLE_PORT  the sample sign-in site                8790
`;

export class UsageError extends Error {}

const text = { type: 'string' } as const;
const flags = {
  data: text,
  'http-port': text,
  'tls-port': text,
  'sample-port': text,
  help: { type: 'boolean', short: 'h' },
} as const;

/** @throws UsageError */
export function readPort(value: string, name: string): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  if (port < 1 || port > 65_535) {
    throw new UsageError(`${name} must be a port from 1 to 65535, not "${value}"`);
  }
  return port;
}

/**
 * @returns `undefined` when only the usage was asked for
 * @throws UsageError
 */
export function readDemoSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  defaults: DemoCommand,
): DemoSettings | undefined {
  let values: ReturnType<typeof parseArgs<{ options: typeof flags }>>['values'];
  try {
    ({ values } = parseArgs({ args: [...args], options: flags, allowPositionals: false }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (values.help === true) return undefined;
  const setting = (flag: string | undefined, variable: string, otherwise: string) =>
    flag ?? (environment[variable] || otherwise);
  const port = (name: 'http-port' | 'tls-port' | 'sample-port', otherwise: number) => {
    const variable = `COUNTERSIGN_${name.replace('-', '_').toUpperCase()}`;
    return readPort(setting(values[name], variable, String(otherwise)), `--${name}`);
  };
  const settings = {
    dataDirectory: resolve(setting(values.data, 'COUNTERSIGN_DATA', defaults.dataDirectory)),
    httpPort: port('http-port', 8780),
    tlsPort: port('tls-port', 8743),
    samplePort: port('sample-port', 8790),
  };
  const { httpPort, tlsPort, samplePort } = settings;
  if (new Set([httpPort, tlsPort, samplePort]).size < 3) {
    throw new UsageError(
      `the three ports must differ; they are ${httpPort}, ${tlsPort}, ${samplePort}`,
    );
  }
  return settings;
}
