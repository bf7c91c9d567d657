//! Another Redis as a target beside the others.

use xtask::servers::{Redis, rejson_module};

use super::Project;

/// Starts a Redis with RedisJSON that the project's connection `cache` names. What it has acknowledged outlives it.
pub(crate) fn join(project: &Project) -> Redis {
    let module = rejson_module();
    let arguments = ["--loadmodule", &module.to_string_lossy(), "--appendonly", "yes", "--appendfsync", "always"];
    let cache = Redis::start_bare(&arguments);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    let connection =
        format!("connections:\n  cache:\n    type: redis\n    host: 127.0.0.1\n    port: {}\n", cache.port());
    project.write("config.yaml", &config.replacen("connections:\n", &connection, 1));
    cache
}

/// A connection to it.
pub(crate) fn client(redis: &Redis) -> redis::Connection {
    redis::Client::open(redis.url()).unwrap().get_connection().unwrap()
}
