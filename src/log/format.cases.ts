/** Format 1 byte by byte. These bytes are on people's disks: a change here is a new format version. */

/** A log of three records, "hello", "" and "wörld", each synced alone. */
export const GOLDEN_SEGMENT = bytes(`
  54 57 4c 4f 47 53 45 47   magic "TWLOGSEG"
  01 00                     format version 1
  40 00                     header length 64
  00 00 00 00               reserved
  10 bf b4 7f 31 1f 4b 06   log id
  00 00 00 00 00 00 00 00   base offset 0
  00 a8 da 76 9b 01 00 00   created at 1767225600000
  00 00 00 00 00 00 00 00   base offset of the segment before, plus 1: none
  00 00 00 00 00 00 00 00   where the segment before ended: 0
  00 00 00 00               reserved
  6c a6 e9 91               CRC-32 of the 60 bytes above

  54 57 4c 42               magic "TWLB"
  09 00 00 00               body length 9
  01 00 00 00               1 record
  7a 00 ac 5c               CRC-32 of the body
  00 00 00 00 00 00 00 00   base offset 0
  00 a8 da 76 9b 01 00 00   closed at 1767225600000
  10 bf b4 7f 31 1f 4b 06   log id
  00 00 00 00 00 00 00 00   durable below 0 when written
  00 00 00 00               reserved
  c3 4b f9 8e               CRC-32 of the 52 bytes above
  05 00 00 00               record length 5
  68 65 6c 6c 6f            "hello"

  54 57 4c 42               magic
  04 00 00 00               body length 4
  01 00 00 00               1 record
  1c df 44 21               CRC-32 of the body
  01 00 00 00 00 00 00 00   base offset 1
  01 a8 da 76 9b 01 00 00   closed at 1767225600001
  10 bf b4 7f 31 1f 4b 06   log id
  01 00 00 00 00 00 00 00   durable below 1
  00 00 00 00               reserved
  ad 54 38 38               CRC-32
  00 00 00 00               record length 0

  54 57 4c 42               magic
  0a 00 00 00               body length 10
  01 00 00 00               1 record
  d1 9b fd ba               CRC-32 of the body
  02 00 00 00 00 00 00 00   base offset 2
  02 a8 da 76 9b 01 00 00   closed at 1767225600002
  10 bf b4 7f 31 1f 4b 06   log id
  02 00 00 00 00 00 00 00   durable below 2
  00 00 00 00               reserved
  5d 8a 0d c6               CRC-32
  06 00 00 00               record length 6
  77 c3 b6 72 6c 64         "wörld"
`);

/** Reads the hexadecimal column, which three spaces end. */
function bytes(annotated: string): Uint8Array {
  const lines = annotated.split("\n").map((line) => line.trim().split("   ")[0]!);
  const digits = lines
    .join(" ")
    .split(" ")
    .filter((pair) => pair !== "");
  return Uint8Array.from(digits, (pair) => Number.parseInt(pair, 16));
}
