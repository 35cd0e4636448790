import { printable } from './printable.js';

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/** Rows under their titles, columns two spaces apart. Cells are made printable; the last column is not padded. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const lines = [columns.map(({ title }) => title), ...rows].map((row) => row.map(printable));
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => widthOf(line[index] ?? ''))));
  return lines.map((line) =>
    columns
      .map(({ align }, index) => {
        const cell = line[index] ?? '';
        const padding = ' '.repeat((widths[index] ?? 0) - widthOf(cell));
        return align === 'right' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Characters, not code units; wide ones count once, which only costs them their alignment. */
function widthOf(text: string): number {
  return [...text].length;
}
