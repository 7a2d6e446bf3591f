#!/usr/bin/env node
import bundle from "../dist/bundle/cli/main.js";

process.exitCode = await bundle.main(process.argv.slice(2));
