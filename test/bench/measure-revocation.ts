import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  assembleCrl,
  buildCrlToBeSigned,
  CrlEntries,
  decodePem,
  type ParsedCertificate,
  parseCertificate,
  parseOcspRequest,
  serialNumberFromRandom,
} from '@countersign/x509';
import { findFreePort } from '../support/free-port.ts';
import { startProcess } from './child-process.ts';
import { alternate, type Figure, median } from './figures.ts';
import { cpuSecondsOf, encodeCall, type LoadResult, sendAll } from './send-all.ts';
import { startBroker, startFloor } from './workerd-direct.ts';

const run = promisify(execFile);
const rounds = 5;
const requestsPerRound = 20_000;
const peerRequestsPerRound = 3000;
const certificates = 200;
const listedCertificates = 100_000;

type Result<Value> = { ok: true; value: Value } | { ok: false; detail: string };
function must<Value>(result: Result<Value>): Value {
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}

const newSerialNumber = () => serialNumberFromRandom(crypto.getRandomValues(new Uint8Array(16)));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();

/** A request each on a connection of its own, as `openssl ocsp` wants it: it answers one and hangs up. */
async function sendEach(
  server: { readonly port: number; readonly pid: number },
  requests: readonly Buffer[],
): Promise<LoadResult> {
  let next = 0;
  let failures = 0;
  const cpuBefore = cpuSecondsOf(server.pid);
  const startedAt = performance.now();
  const sendNext = async (): Promise<void> => {
    const request = requests[next++];
    if (request === undefined) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect(server.port, '127.0.0.1', () => socket.write(request));
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('data', (answer) => {
      if (!/^HTTP\/1\.[01] 200/.test(answer.toString('latin1'))) failures += 1;
      socket.destroy();
      resolve();
    });
    await promise;
    await sendNext();
  };
  await Promise.all(Array.from({ length: 8 }, sendNext));
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = cpuSecondsOf(server.pid) - cpuBefore;
  const { length } = requests;
  return {
    requests: length,
    perSecond: length / seconds,
    cpuMicroseconds: (cpuSeconds / length) * 1e6,
    failures,
  };
}

/** Authority of its own for the peers: `openssl ocsp -port`, and `openssl ca -gencrl`. */
async function makePeer(
  directory: string,
  serialNumbers: readonly Uint8Array[],
  status: 'V' | 'R',
) {
  mkdirSync(directory);
  const path = (name: string) => join(directory, name);
  const rows = serialNumbers.map((serialNumber) => {
    const revoked = status === 'R' ? '261101000000Z,keyCompromise' : '';
    return `${status}\t351101000000Z\t${revoked}\t${hexOf(serialNumber)}\tunknown\t/CN=${hexOf(serialNumber)}\n`;
  });
  writeFileSync(path('index.txt'), rows.join(''));
  writeFileSync(path('crlnumber'), '01\n');
  writeFileSync(
    path('ca.cnf'),
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${path('index.txt')}\ncrlnumber=${path('crlnumber')}\ndefault_md=sha256\ndefault_crl_days=1\n`,
  );
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const files = ['-keyout', path('key.pem'), '-out', path('ca.pem')];
  await run('openssl', ['req', '-x509', ...key, ...files, '-subj', '/CN=Peer', '-days', '30']);
  return { path };
}

type Peer = Awaited<ReturnType<typeof makePeer>>;

async function startPeer({ path }: Peer, request: Buffer) {
  const port = await findFreePort();
  const signer = ['-CA', path('ca.pem'), '-rsigner', path('ca.pem'), '-rkey', path('key.pem')];
  const args = ['ocsp', '-port', String(port), '-index', path('index.txt'), ...signer];
  const child = startProcess('openssl', [...args, '-nmin', '60'], { stderr: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  // It never comes back from a connection that says nothing, and ends at a request that is malformed.
  const headers = { 'Content-Type': 'application/ocsp-request' };
  const body = new Uint8Array(request);
  for (let attempt = 0; attempt < 200; attempt++) {
    const answered = await fetch(url, { method: 'POST', headers, body }).then(
      () => true,
      () => false,
    );
    if (answered) return { port, pid: child.pid, stop: child.stop };
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error('openssl ocsp does not answer');
}

/** The request of `openssl ocsp`, with the hash that it and most clients use. */
async function makeRequest(directory: string, issuerFile: string, serialNumber: Uint8Array) {
  const file = join(directory, 'request.der');
  const question = ['-issuer', issuerFile, '-serial', `0x${hexOf(serialNumber)}`];
  await run('openssl', ['ocsp', ...question, '-no_nonce', '-reqout', file]);
  const der = readFileSync(file);
  must(parseOcspRequest(der));
  return der;
}

/** Other serial numbers of the same length, put into one request: a thousand processes would take minutes. */
const requestsFor = (request: Buffer, first: Uint8Array, serialNumbers: readonly Uint8Array[]) =>
  serialNumbers.map((serialNumber) => {
    const copy = Buffer.from(request);
    copy.set(serialNumber, request.indexOf(first));
    return copy;
  });

const repeat = <Item>(items: readonly Item[], count: number): Item[] =>
  Array.from({ length: count }, (_, i) => items[i % items.length]).filter(
    (item) => item !== undefined,
  );

const getOf = (request: Buffer) =>
  encodeCall({
    method: 'GET',
    path: `/ocsp/${encodeURIComponent(request.toString('base64'))}`,
    headers: {},
    body: '',
  });

const postOf = (path: string) => (request: Buffer) => {
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/ocsp-request\r\nContent-Length: ${request.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), request]);
};

const ratioOf = (ours: readonly LoadResult[], theirs: readonly LoadResult[]) =>
  median(ours.map((each, i) => each.perSecond / (theirs[i]?.perSecond ?? Number.NaN)));
const inNumbers = (runs: readonly LoadResult[]) =>
  `${median(runs.map((each) => each.perSecond)).toFixed(0)}/s, ${median(runs.map((each) => each.cpuMicroseconds)).toFixed(0)} µs`;

async function measureOcsp(directory: string): Promise<Figure[]> {
  const serialNumbers = Array.from({ length: certificates }, newSerialNumber);
  const [first = newSerialNumber()] = serialNumbers;
  const broker = await startBroker(directory);
  const floor = await startFloor(directory);
  const peer = await makePeer(join(directory, 'ocsp-peer'), serialNumbers, 'V');
  const theirs = requestsFor(
    await makeRequest(directory, peer.path('ca.pem'), first),
    first,
    serialNumbers,
  );
  const openssl = await startPeer(peer, theirs[0] ?? Buffer.alloc(0));
  try {
    const issuerFile = join(directory, 'data', 'certificates', 'issuer.pem');
    const own = requestsFor(await makeRequest(directory, issuerFile, first), first, serialNumbers);
    const isExpected = (answer: string) => answer.startsWith('HTTP/1.1 200');
    const hello = encodeCall({ method: 'GET', path: '/hello', headers: {}, body: '' });
    const load = async (server: typeof broker | typeof floor, requests: readonly Buffer[]) =>
      await sendAll({ ...server, requests: repeat(requests, requestsPerRound), isExpected });
    await load(broker, own.map(getOf));
    const runs = await alternate(rounds, {
      hello: () => load(floor, [hello]),
      get: () => load(broker, own.map(getOf)),
      post: () => load(broker, own.map(postOf('/ocsp'))),
      alone: () => sendEach(broker, repeat(own.map(postOf('/ocsp')), peerRequestsPerRound)),
      openssl: () => sendEach(openssl, repeat(theirs.map(postOf('/')), peerRequestsPerRound)),
    });
    const failures = Object.values(runs)
      .flat()
      .reduce((sum, each) => sum + each.failures, 0);
    if (failures > 0) throw new Error(`${failures} questions were not answered`);
    return [
      {
        name: 'ready OCSP answers/s (GET) ÷ bare hello of the same runtime',
        value: ratioOf(runs.get, runs.hello).toFixed(2),
        target: '≥ 0.9',
        note: `${inNumbers(runs.get)} ÷ ${inNumbers(runs.hello)}; POST ${ratioOf(runs.post, runs.hello).toFixed(2)} (${inNumbers(runs.post)})`,
      },
      {
        name: 'ready OCSP answers/s (GET) ÷ openssl ocsp, which hangs up after each',
        value: `${ratioOf(runs.get, runs.openssl).toFixed(1)}×`,
        target: '≥ 1×',
        note: `${inNumbers(runs.get)} ÷ ${inNumbers(runs.openssl)}`,
      },
      {
        name: 'the same with POSTs on a connection each, both',
        value: `${ratioOf(runs.alone, runs.openssl).toFixed(2)}×`,
        target: '≥ 1×',
        note: `${inNumbers(runs.alone)} ÷ ${inNumbers(runs.openssl)}; a connection is what costs`,
      },
    ];
  } finally {
    await Promise.all([broker.stop(), floor.stop(), openssl.stop()]);
  }
}

async function signList(
  issuer: ParsedCertificate,
  key: CryptoKey,
  serialNumbers: readonly Uint8Array[],
): Promise<Uint8Array> {
  const nowMs = Date.now();
  const entries = new CrlEntries(serialNumbers.length);
  for (const [i, serialNumber] of serialNumbers.entries()) {
    entries.append(serialNumber, nowMs - i * 1000, 'keyCompromise');
  }
  const fields = {
    number: nowMs,
    thisUpdateMs: nowMs,
    nextUpdateMs: nowMs + 86_400_000,
    distributionPoints: ['http://broker.example/crl/1.crl'],
    entries,
  };
  const toBeSigned = must(buildCrlToBeSigned(fields, issuer));
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, toBeSigned);
  return must(assembleCrl(toBeSigned, new Uint8Array(signature), issuer));
}

async function measureLists(directory: string): Promise<Figure[]> {
  const serialNumbers = Array.from({ length: listedCertificates }, newSerialNumber);
  const peer = await makePeer(join(directory, 'crl-peer'), serialNumbers, 'R');
  const pem = readFileSync(peer.path('ca.pem'), 'utf8');
  const certificate = must(parseCertificate(must(decodePem(pem, 'CERTIFICATE'))));
  const keyUsage = ['keyCertSign', 'crlSign'] as const;
  const issuer = { ...certificate, extensions: { ...certificate.extensions, keyUsage } };
  const keyDer = must(decodePem(readFileSync(peer.path('key.pem'), 'utf8'), 'PRIVATE KEY'));
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('pkcs8', keyDer, algorithm, false, ['sign']);
  const timed = async (work: () => Promise<unknown>) => {
    const startedAt = performance.now();
    await work();
    return performance.now() - startedAt;
  };
  const signing = ['-config', peer.path('ca.cnf'), '-keyfile', peer.path('key.pem')];
  const files = ['-cert', peer.path('ca.pem'), '-out', peer.path('list.pem')];
  // The first ones are the compiler's.
  for (let i = 0; i < 3; i++) await signList(issuer, key, serialNumbers);
  const runs = await alternate(rounds, {
    ours: () => timed(() => signList(issuer, key, serialNumbers)),
    openssl: () => timed(() => run('openssl', ['ca', '-gencrl', ...signing, ...files])),
  });
  const shard = await signList(issuer, key, serialNumbers.slice(0, 50_000 / 16));
  const bytes = (await signList(issuer, key, serialNumbers)).length;
  const ours = median(runs.ours);
  return [
    {
      name: 'CRL of 100,000 entries, built and signed',
      value: `${ours.toFixed(0)} ms`,
      target: '≤ 20 ms',
      note: `openssl ca -gencrl ${median(runs.openssl).toFixed(0)} ms, ${(median(runs.openssl) / ours).toFixed(0)}×; ${(bytes / listedCertificates).toFixed(0)} bytes an entry`,
    },
    {
      name: 'one of 16 lists after 50,000 revocations',
      value: `${(shard.length / 1000).toFixed(0)} KB`,
      target: '≤ 1 MB',
      note: '3,125 entries with a reason each',
    },
  ];
}

/** Answers about single certificates, ready ones above all, and lists. */
export async function measureRevocation(directory: string): Promise<Figure[]> {
  return [...(await measureOcsp(directory)), ...(await measureLists(directory))];
}
