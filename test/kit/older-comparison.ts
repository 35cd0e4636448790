import { type PathFacts, treeFacts } from './tree-facts.js';

/** What the older format brings back of a tree: all but times, extended attributes, and further names of symlinks. */
export function olderFacts(root: string): Map<string, Partial<PathFacts>> {
  const facts = new Map<string, Partial<PathFacts>>(treeFacts(root));
  for (const each of facts.values()) {
    delete each.mtimeNs;
    if (each.kind === 'l') delete each.sameAs;
  }
  return facts;
}
