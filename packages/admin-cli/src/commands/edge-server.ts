import { CommandError, UsageError } from '../command-line/command.ts';

type EdgeServer = typeof import('@countersign/edge-server');

/** Loaded for the commands that work on a data folder of this machine, and for no others. */
export async function withEdgeServer<Value>(
  work: (edgeServer: EdgeServer) => Promise<Value>,
): Promise<Value> {
  const edgeServer = await import('@countersign/edge-server');
  try {
    return await work(edgeServer);
  } catch (error) {
    if (!(error instanceof edgeServer.EdgeServerError)) throw error;
    const { failure, message } = error;
    if (failure === 'setting_invalid') throw new UsageError(message);
    throw new CommandError(`${failure}: ${message}`);
  }
}
