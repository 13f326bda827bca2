import { defineConfig } from "vite";
import { licenses } from "./licenses.mjs";

// KaTeX names three formats of every font; each browser that can run the page reads woff2.
const onlyWoff2 = {
  name: "only-woff2",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("katex") || !id.includes(".css")) return null;
    return code.replace(/,url\([^)]*\.(?:woff|ttf)\) format\("[a-z]+"\)/g, "");
  },
};

const server = process.env.R1_SERVER ?? "http://127.0.0.1:8931";

export default defineConfig({
  base: "./",
  plugins: [onlyWoff2, licenses()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the policy allows no data: fonts
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/v1": server, "/metrics": server, "/health": server } },
});
