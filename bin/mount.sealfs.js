#!/usr/bin/env node
import bundle from "../dist/bundle/cli/mount-helper.js";

process.exitCode = await bundle.run(process.argv.slice(2));
