export { aSigningSecret } from "../local/clerk/signing_secret.ts";
