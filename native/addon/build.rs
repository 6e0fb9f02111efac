//! Links the addon as N-API wants it, and passes on which sources it is built from.

fn main() {
    napi_build::setup();
    println!("cargo::rerun-if-env-changed=HOSTGW_SOURCES");
    let sources = std::env::var("HOSTGW_SOURCES").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=HOSTGW_SOURCES={sources}");
}
