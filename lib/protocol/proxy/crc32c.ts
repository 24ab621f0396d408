// CRC-32C (Castagnoli), reflected, as RFC 4960 Appendix B has it.

const table = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** The CRC-32C of the octets, unsigned. */
export function crc32c(octets: Uint8Array): number {
  let crc = 0xffffffff
  for (const octet of octets) crc = (crc >>> 8) ^ table[(crc ^ octet) & 255]!
  return ~crc >>> 0
}
