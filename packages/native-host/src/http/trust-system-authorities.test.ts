import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { makeCertificate } from '@countersign/testkit/fake-authorities';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import { buildTlsServerToBeSigned, encodePem } from '@countersign/x509';
import { expect, it } from 'vitest';
import { enrollmentToken, HostProcess } from '../testing/host-process.ts';

it('a broker is trusted under an authority of the machine, and not under any other', async () => {
  const { privateKey, certificate } = await makeCertificate('Broker', Date.now(), (fields) =>
    buildTlsServerToBeSigned({ ...fields, dnsNames: ['localhost'], ipAddresses: [] }),
  );
  const cert = encodePem('CERTIFICATE', certificate.der);
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' });
  let requests = 0;
  const server = createServer({ key, cert }, (_, response) => {
    requests += 1;
    response.writeHead(418).end();
  });
  const brokerUrl = `https://localhost:${await listenOnFreePort(server)}`;
  const host = new HostProcess();
  try {
    const args = ['enroll', '--broker', brokerUrl];
    const stranger = await host.command(args, enrollmentToken);
    expect(stranger.errors).toMatch(/DEPTH_ZERO_SELF_SIGNED_CERT.*\(broker_unreachable\)/);
    expect(requests).toBe(0);

    const authorities = join(host.folder, 'authorities.pem');
    writeFileSync(authorities, cert);
    const known = await host.command(args, enrollmentToken, { SSL_CERT_FILE: authorities });
    expect(known.errors).toMatch(/answered 418.*\(broker_answer_malformed\)/);
    expect(requests).toBe(1);
  } finally {
    host.remove();
    server.closeAllConnections();
    server.close();
  }
});
