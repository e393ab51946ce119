import { createServer } from 'node:https';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';

/** A web server under names that are not the sign-in site's. */
export type AttackerSite = { readonly port: number; stop(): Promise<void> };

/**
 * Serves one page for every address. It can do what any page can: `askDevice(challenge, target)` posts to a window and
 * collects everything that comes back, and `?frame=URL` shows another page inside it, with `&sandbox` in a sandbox.
 */
export async function startAttackerSite(tls: {
  readonly key: string;
  readonly cert: string;
}): Promise<AttackerSite> {
  const server = createServer(tls, (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(page);
  });
  const port = await listenOnFreePort(server);
  return {
    port,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const page = `<!doctype html>
<title>Sign in</title>
<body><script>
window.askDevice = (challenge, target = window) => new Promise((resolve) => {
  const replies = [];
  const { port1, port2 } = new MessageChannel();
  const giveUpAfter = (ms) => setTimeout(() => resolve(replies), ms);
  let silence = giveUpAfter(1500);
  port1.onmessage = ({ data }) => {
    replies.push(data);
    clearTimeout(silence);
    if (data.type === 'answer') resolve(replies);
    // Who has the request answers it, but only after a program has started.
    else silence = giveUpAfter(20_000);
  };
  target.postMessage({ type: 'countersign.attest', version: 1, challenge }, '*', [port2]);
});
const wanted = new URLSearchParams(location.search);
if (wanted.has('frame')) {
  const frame = document.createElement('iframe');
  if (wanted.has('sandbox')) frame.sandbox = 'allow-scripts allow-forms';
  frame.src = wanted.get('frame');
  document.body.append(frame);
}
</script></body>`;
