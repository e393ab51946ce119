import { request } from 'node:http';

/** What a worker answers to `GET /` at a unix socket. */
export function getJsonFromSocket(socketPath: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/', agent: false }, (answer) => {
      answer
        .setEncoding('utf8')
        .toArray()
        .then((chunks) => resolve(JSON.parse(chunks.join(''))), reject);
    })
      .on('error', reject)
      .end();
  });
}
