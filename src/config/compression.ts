/** How stored bytes may be encoded. */
export type Encoding = 'gzip' | 'zstd';

/** What compresses with gzip: Node's own zlib, or libdeflate, which is twice as fast and not on every system. */
export type GzipLibrary = 'zlib' | 'libdeflate';
