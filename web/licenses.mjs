import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const ROOT = "node_modules";

function licenseText(directory) {
  const file = readdirSync(directory).find((name) => /^(licen[cs]e|copying)/i.test(name));
  return file ? readFileSync(join(directory, file), "utf8").trim() : null;
}

/** Writes licenses.txt: the terms of every package of which code or fonts are in the bundle. */
export function licenses() {
  return {
    name: "licenses",
    apply: "build",
    generateBundle(_options, bundle) {
      const packages = new Set();
      for (const chunk of Object.values(bundle)) {
        const sources = chunk.type === "chunk" ? Object.keys(chunk.modules) : (chunk.originalFileNames ?? []);
        for (const source of sources) {
          const match = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source);
          if (match) packages.add(match[1]);
        }
      }
      const parts = [...packages].sort().map((name) => {
        const directory = join(ROOT, name);
        if (!existsSync(directory)) throw new Error(`${directory} is not there; run npm ci`);
        const { version, license } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
        const text = licenseText(directory);
        if (!text) throw new Error(`${name} comes without the text of its licence`);
        return `${name} ${version} (${license})\n\n${text}\n`;
      });
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: parts.join(`\n${"-".repeat(78)}\n\n`) });
    },
  };
}
