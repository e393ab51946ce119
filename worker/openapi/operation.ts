import type * as z from 'zod/mini';

/** What the document says of an address beyond its method, path and permission. */
export type Operation = {
  readonly summary: string;
  readonly body?: z.ZodMiniType;
  /** Of a body that is not JSON. */
  readonly bodyType?: string;
  readonly answer?: z.ZodMiniType;
  /** Of an answer that is not JSON. */
  readonly answerType?: string;
  /** Of a success; 200 where nothing is said. */
  readonly status?: readonly number[];
  /** Parameters of the query, with what they are. */
  readonly query?: Readonly<Record<string, string>>;
};
