import { join } from 'node:path';
import type { DemoSettings } from './demo-settings.ts';
import type { Report } from './report.ts';
import { showSignIn } from './show-sign-in.ts';
import { type Started, startSample } from './start-sample.ts';

/** Starts everything and shows one sign-in. @param started receives what has to be stopped, also when a step fails */
export async function runDemo(
  settings: DemoSettings,
  report: Report,
  log: (line: string) => void,
  started: Started,
): Promise<void> {
  const { server, site, broker, device } = await startSample(settings, report, log, started);

  report.title('A sign-in, step by step');
  await showSignIn(report, broker, site.url, device);

  report.title('Countersign is running');
  report.row('sample site', `${site.url}/  (user ada, password countersign-demo)`);
  report.row('broker', server.httpUrl);
  report.row('broker, TLS', `${server.tlsUrl}  (with client certificates)`);
  report.row('data folder', server.dataDirectory);
  report.row('owner token', join(server.dataDirectory, 'owner-token'));
  report.line();
  report.note('Ctrl-C ends it; what it knows stays in the data folder.');
}
