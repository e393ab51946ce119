/** Why a request cannot be understood or followed: codes of this project, which have a `scimType` (RFC 7644 section 3.12). */
export type ScimRefusal = {
  readonly ok: false;
  readonly code:
    | 'scim_syntax_invalid'
    | 'scim_value_invalid'
    | 'scim_path_invalid'
    | 'scim_filter_invalid';
  readonly detail: string;
};

export type ScimResult<Value> = { readonly ok: true; readonly value: Value } | ScimRefusal;

export const refuseSyntax = (detail: string): ScimRefusal => ({
  ok: false,
  code: 'scim_syntax_invalid',
  detail,
});
export const refuseValue = (detail: string): ScimRefusal => ({
  ok: false,
  code: 'scim_value_invalid',
  detail,
});
export const refusePath = (path: string): ScimRefusal => ({
  ok: false,
  code: 'scim_path_invalid',
  detail: `${JSON.stringify(path.slice(0, 128))} is no path`,
});
export const refuseFilter = (detail: string): ScimRefusal => ({
  ok: false,
  code: 'scim_filter_invalid',
  detail,
});

/** All values, or the first refusal. */
export function collect<Value>(results: Iterable<ScimResult<Value>>): ScimResult<Value[]> {
  const values: Value[] = [];
  for (const result of results) {
    if (!result.ok) return result;
    values.push(result.value);
  }
  return { ok: true, value: values };
}
