/** Expected failures are values. `detail` is for administrators: it names what was wrong and never holds a secret. */
export type Success<Value> = { readonly ok: true; readonly value: Value };
export type Failure<Reason extends string> = {
  readonly ok: false;
  readonly reason: Reason;
  readonly detail: string;
};
export type Result<Value, Reason extends string> = Success<Value> | Failure<Reason>;

export function succeed<Value>(value: Value): Success<Value> {
  return { ok: true, value };
}

export function fail<Reason extends string>(reason: Reason, detail: string): Failure<Reason> {
  return { ok: false, reason, detail };
}
