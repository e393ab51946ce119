import type { Section } from './command.ts';

/** Answers hold what devices, managements and people said: nothing of it may write to the terminal as it likes. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trimEnd();
}

function printTable(columns: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  const cells = [columns.map((name) => name.toUpperCase()), ...rows].map((row) =>
    row.map(printable),
  );
  const widths = columns.map((_, index) =>
    Math.max(...cells.map((row) => (row[index] ?? '').length)),
  );
  return cells.map((row) =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** Nothing is cut: a table that is wider than the terminal wraps there. */
export function printSection(section: Section): string[] {
  switch (section.kind) {
    case 'lines':
      // Scripts and secrets are shown to be copied: line by line as they are.
      return section.lines.flatMap((text) => text.split('\n')).map(printable);
    case 'rows': {
      const width = Math.max(0, ...section.rows.map(([label]) => label.length));
      return section.rows.map(([label, value]) => `${label.padEnd(width)}  ${printable(value)}`);
    }
    case 'table':
      return section.rows.length === 0
        ? [section.whenEmpty]
        : printTable(section.columns, section.rows);
  }
}
