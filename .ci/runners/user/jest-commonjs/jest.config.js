// A project in CommonJS: babel-jest makes CommonJS of the packages that are ES modules.
module.exports = {
  transform: { '\\.js$': ['babel-jest', { presets: [['@babel/preset-env', { targets: { node: 'current' } }]] }] },
  transformIgnorePatterns: ['/node_modules/(?!(?:mailhandler|through2)/)'],
}
