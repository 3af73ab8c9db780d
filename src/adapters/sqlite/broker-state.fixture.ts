/** Files that earlier versions of Tidewire wrote. */
import { gunzipSync } from "node:zlib";

/**
 * `broker.db` of format 1: session c1 with a will, subscriptions to q/# (identifier 4) and x/+ (QoS 0) and two queued
 * messages, at offsets 6 and 7; retained messages of five topics, `gone` removed again. The log ended at 9.
 */
const FORMAT_1 =
  "H4sICLoiAmsCA29sZC5kYgDt3U1v40QYB/CZ2LGdtF0TylIiUWkkhNrS0GC14gCL6AsRW7W0u2mqslSV5dgTasm1U9sp2RvdRXwAJE58Aa7cuc" +
  "GRC1dAXBAXJA4cQMAJv8RpsptUHJfw/8nJjGfGL/N4bNVOlB7c3bVDzlqef2aEbJU8RSgl64wRQsToNUWuyL2yDO29riOSlU+/mVHPSbF4RNT7" +
  "N3x1fWZh+nT6jyk+/XrxaGqNAAAAAMAkuHyvIM/Nz9OHcmg0He7z0LBdbmVpcate22jUWGNjc7fGslK2WGSx0GvbJmvU3m2wO/Xtdzbq99hO7V" +
  "6FtXzjjLPN3f1NtrffYHuHu7sV5rVaAQ/Z9l6j9natPlBhOjZ3Q9220jX1K9Jt+Nzk9gW3dGPUsrzbtn0eDFTGSy2xg0Z9e6tRLUpzW/OU2K7F" +
  "u8G5E/0BrRud0Evm9aw3upblpi4PZHmuXKYPaRKN8w7vcCt9V4YikZZlcRjXA9ay/WBkl72OO6o8cLwweDRwthWt3G7Z3A+S9fcCMxBxttjfg9" +
  "42lwbDsKxIc2+Wx4Uh7YqupWnhciqfDIhLOwmB1wmbXpcHWSoNhSErHdiBEcPhlBvWqM7GCzR5dEfDH6vtH0HpuiOYbV7Xspz84LYozy0s0I/2" +
  "k90POs3A9O12aHtuMDSTH+rIUNW/OKxOyP1HS8+9YEQvXU93PNNwHq/Kxnc89nQj0NudpmMHp3xUrK7GwKhA2q7Jx61//DCJ+zA0TirsaLtxe/" +
  "+wwer7R9tvXe7kkpHwIB0JAQ+CJIq9VBgOYK90TOyGxkNy0t7XA256rjUqZpYdRFUuN8Oh877CLqJzINqK7nbOmqNCkW77A9txks0OXQuE60ZS" +
  "tvu6luXiG2gluUKKND0hjpMwtH3v/eiKE2RpbigMWSlb9NyrQzJ4DLZu17Z20uo3mLZUYUa7HcXK0sdcH7P9n4lv4tW/STQBAAAAAAAAwMQRqU" +
  "BoIb3//5VEEwAAAAAAAABMglJOKgl5hZgavfsh/eziu8+LxeT+/y8STQAAAAAAAAAwaSShRE0tF9//59SfiPpb9AYAAAAAAAAA/1UzSmlWiZla" +
  "t7p8I5orKAqN5s6rL4jp9///JNEEAAAAAAAAABNGomIpfiKQfv8fv/8HAAAAAAAAMJnyQqlgaunn/1+TaAIAAAAAAACAJ9hrVCopdLdqarm04L" +
  "n1NL3TS5/vpY314+NXKsdrJyeVYy1JT/D7fwAAAAAAAAATTBJLSu/z/7z6IlF/VL9QP1YPoywAAAAAAADA/9OKJJdX6Gw+f+b5oeFoKpHSXD7+" +
  "wP1WN9/uNJN/p/dM9P79J2FVlMu3ovak6nDDqq4+S6Q0R6goENoNHCM45YHQX2xJkG+uxQv41Ze11aeJGKe9xme22wly/abLObn8aiFp+tWXVW" +
  "11lkhprtfc4rzdb8yorL6kxI1XZwj1e01C76pFMbn//5aov6u/qD+rP0RZAAAAAAAAAHjSFYUyTR8I5BThJo0fJAiioBb8uCJ9aiHF2fSBhPgP" +
  "oYb9ZACwAAA=";

export function brokerDatabaseOfFormat1(): Uint8Array {
  return gunzipSync(Buffer.from(FORMAT_1, "base64"));
}
