/** Numbers of the kernel's file systems, by which statfs(2) names them; from linux/magic.h. */
export const PROC = 0x9fa0;
export const SYSFS = 0x6265_6572;
/** A devtmpfs calls itself a tmpfs, or a ramfs where the kernel has none. */
export const TMPFS = 0x0102_1994;
export const RAMFS = 0x8584_58f6;
