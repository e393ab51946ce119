// Node's own TLS server, without and with client certificates: node tls-peer.js KEY CERTIFICATE AUTHORITY PORT MTLS_PORT
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [key, cert, ca, port, mtlsPort] = process.argv.slice(2);
const own = { key: readFileSync(key), cert: readFileSync(cert) };
const answer = (_, response) => response.end('ok');
createServer(own, answer).listen(Number(port), '127.0.0.1');
const asking = { ...own, ca: readFileSync(ca), requestCert: true, rejectUnauthorized: false };
createServer(asking, answer).listen(Number(mtlsPort), '127.0.0.1');
