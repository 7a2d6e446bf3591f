// For NODE_OPTIONS=--require: a Node where the optional package koffi is not installed.
const Module = require("node:module");
const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  if (request === "koffi") throw Object.assign(new Error("no koffi"), { code: "MODULE_NOT_FOUND" });
  return resolve.call(this, request, ...rest);
};
