/** How stored bytes may be encoded. */
export type Encoding = 'gzip' | 'zstd';
