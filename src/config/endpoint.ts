/**
 * Whether requests go to Amazon's own servers: no endpoint URL, or one of theirs. Others' servers mostly have no DNS
 * names for buckets, have storage classes of their own, and answer for STS at the same URL where they have it.
 */
export function isAmazonEndpoint(endpointUrl: string | undefined): boolean {
  return endpointUrl === undefined || /\.amazonaws\.com(\.cn)?$/.test(new URL(endpointUrl).hostname);
}
