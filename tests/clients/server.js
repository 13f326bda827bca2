// Starts `r1 serve` with the bundled model on a port of its own.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import path from "node:path";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const binary = process.env.R1_BINARY ?? path.join(root, "build/release/src/cli/r1");

export const MODEL = "r1-zero-nano";
export const QUESTION = "Solve 3x + 7 = 31 for x.";

/** @returns {Promise<{url: string, stop: () => Promise<number>}>} */
export async function startServer(flags = []) {
  const child = spawn(
    binary,
    ["serve", path.join(root, "models", MODEL), "--port", "0", "--threads", "1", ...flags],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let errors = "";
  child.stderr.on("data", (text) => (errors += text));
  const ended = new Promise((resolve) => child.on("exit", (code) => resolve(code ?? -1)));
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = /^Serving at (\S+)$/.exec(line);
      if (found) resolve(found[1]);
    });
    child.on("error", reject);
    ended.then((code) => reject(new Error(`r1 serve ended with ${code}: ${errors}`)));
  });
  return {
    url,
    stop: async () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}
