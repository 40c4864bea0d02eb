// What the account-abstraction tests of all clients share: artifacts, and a passkey that lives in Node.
import { readFileSync } from "node:fs";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { AbiCoder, getBytes, hexlify } from "ethers";

export const artifact = (name) =>
  JSON.parse(readFileSync(new URL(`../../contracts/artifacts/${name}.json`, import.meta.url)));

// A WebAuthn authenticator over P-256: what a browser's `navigator.credentials.get` gives for a challenge.
export function passkey() {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = publicKey.export({ format: "jwk" });
  const word = (s) => hexlify(Buffer.from(s, "base64url"));
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const sha = (b) => createHash("sha256").update(b).digest();
  return {
    x: word(jwk.x),
    y: word(jwk.y),
    answer(digest) {
      const challenge = Buffer.from(getBytes(digest)).toString("base64url");
      const clientData = `{"type":"webauthn.get","challenge":"${challenge}","origin":"http://localhost","crossOrigin":false}`;
      // Relying party, flags (user present, user verified), counter.
      const authenticator = Buffer.concat([sha("localhost"), Buffer.from([5, 0, 0, 0, 1])]);
      const signed = Buffer.concat([authenticator, sha(clientData)]);
      const rs = sign("sha256", signed, { key: privateKey, dsaEncoding: "ieee-p1363" });
      const r = BigInt(hexlify(rs.subarray(0, 32)));
      let s = BigInt(hexlify(rs.subarray(32)));
      if (s > n / 2n) s = n - s;
      const bytes32 = (v) => "0x" + v.toString(16).padStart(64, "0");
      return AbiCoder.defaultAbiCoder().encode(
        ["bytes32", "bytes32", "uint256", "uint256", "bytes", "string"],
        [bytes32(r), bytes32(s), clientData.indexOf('"challenge"'), clientData.indexOf('"type"'), authenticator, clientData],
      );
    },
  };
}
