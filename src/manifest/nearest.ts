/** At most three of the candidates, those first that take the fewest changes of a character to become `text`. */
export function nearest(text: string, candidates: Iterable<string>): string[] {
  return [...new Set(candidates)]
    .map((name) => ({ name, distance: name.startsWith(text) ? 0 : distance(text, name) }))
    .filter(
      ({ name, distance }) => distance <= Math.max(2, Math.ceil(Math.max(text.length, name.length) / 2)),
    )
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein's: insertions, deletions and replacements. */
export function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
