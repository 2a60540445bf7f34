import { defineConfig } from "vite";

export default defineConfig({
  base: "/portal/",
  build: { outDir: "../portal/static", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: false, target: "es2022" },
});
