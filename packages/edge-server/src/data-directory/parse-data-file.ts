import * as z from 'zod/mini';
import { EdgeServerError, errorText } from '../edge-server-error.ts';

/**
 * The content of a JSON file that a server cannot do without.
 *
 * @param path for the message only
 * @throws EdgeServerError `data_directory_unusable` when the file is damaged or of another version
 */
export function parseDataFile<Schema extends z.ZodMiniType>(
  schema: Schema,
  text: string,
  path: string,
): z.infer<Schema> {
  const unusable = (why: string) =>
    new EdgeServerError(
      'data_directory_unusable',
      `${path} ${why}. Restore it from a backup, or use the version of Countersign that wrote it.`,
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw unusable(`is not JSON (${errorText(error)})`);
  }
  const parsed = z.safeParse(schema, json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw unusable(`is wrong at "${issue?.path.map(String).join('.') ?? ''}": ${issue?.message}`);
}
