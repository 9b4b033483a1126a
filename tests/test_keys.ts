import { generateTokenKey } from "../local/clerk/token_issuer.ts";
import { generateKeys, type StackKeys } from "../local/keys.ts";

let tokenKey: Promise<string> | undefined;

/** New keys for a stack. All stacks of a test file sign tokens with one key, which takes 100 ms to make. */
export async function testKeys(): Promise<StackKeys> {
  tokenKey ??= generateTokenKey();
  return await generateKeys({ tokenKey: await tokenKey });
}
