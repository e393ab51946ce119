import { problemDocument } from '@countersign/protocol/problem';
import { describe, expect, it } from 'vitest';
import { ask, exchangeRaw, startTestFront } from '../testing/start-test-front.ts';
import { freePort } from '../testing/start-test-server.ts';

async function startPublishing() {
  const asked: string[] = [];
  const front = await startTestFront(
    (request, response) => {
      asked.push(`${request.method} ${request.url}`);
      request.resume();
      request.on('end', () => response.end('published'));
    },
    { publication: { host: '127.0.0.1', port: await freePort() } },
  );
  return { port: front.publicationPort ?? 0, httpPort: front.httpPort, asked };
}

describe('the port where revocation is published', () => {
  it('passes on what certificates name', async () => {
    const { port, asked } = await startPublishing();
    const good = [
      ['GET', `/crl/${'A'.repeat(43)}/3.crl`],
      ['HEAD', `/crl/${'A'.repeat(43)}/3.crl?x=1`],
      ['GET', `/certificates/${'A'.repeat(43)}`],
      ['GET', '/ocsp/MFQwUjBQ%2BE4wTDAJBgUrDgMC//GgUABBQ='],
      ['POST', '/ocsp'],
    ] as const;
    for (const [method, path] of good) {
      const answer = await ask(port, { method, path, ...(method === 'POST' ? { body: 'x' } : {}) });
      expect([path, answer.status]).toEqual([path, 200]);
    }
    expect(asked).toEqual(good.map(([method, path]) => `${method} ${path}`));
  });

  it('passes on nothing else, however it is written', async () => {
    const { port, asked } = await startPublishing();
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/healthz'],
      ['GET', '/v1/key-set'],
      ['GET', '/v1/admin/issuers'],
      ['POST', '/v1/challenges'],
      ['POST', '/v1/enrollments'],
      ['GET', '/crl'],
      ['GET', '/crl/'],
      ['GET', '/crlx/1'],
      ['GET', '/ocsp'],
      ['POST', '/ocsp/x'],
      ['POST', '/crl/x/1.crl'],
      ['PUT', '/ocsp'],
      ['DELETE', '/crl/x/1.crl'],
      ['OPTIONS', '/ocsp'],
      ['GET', '/crl/../v1/key-set'],
      ['GET', '/crl/%2e%2e/v1/key-set'],
      ['GET', '/ocsp/..%5cv1/key-set/../../../v1/key-set'],
      ['GET', '/crl\\..\\v1/key-set'],
      ['GET', '//crl/x'],
      ['GET', '/v1/key-set?/crl/x'],
    ] as const) {
      const text = `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
      const answer = await exchangeRaw(port, text);
      expect([path, answer.slice(0, 12)]).toEqual([path, 'HTTP/1.1 404']);
      const problem = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));
      expect(problemDocument.parse(problem).code).toBe('not_found');
    }
    expect(asked).toEqual([]);
  });

  it('is there only where it is wanted; the others pass everything on', async () => {
    const { httpPort, asked } = await startPublishing();
    expect((await ask(httpPort, { path: '/crl/x/1.crl' })).status).toBe(200);
    expect((await ask(httpPort, { path: '/v1/key-set' })).status).toBe(200);
    expect(asked).toHaveLength(2);
    const front = await startTestFront((_request, response) => response.end());
    expect(front.publicationPort).toBe(undefined);
  });
});
