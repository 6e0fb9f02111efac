//! sd_notify: one datagram to systemd (man sd_notify), to a path or, with a leading `@`, to an abstract socket.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A manager that does not read must not stop the agent.
const TIMEOUT: Duration = Duration::from_secs(1);

pub fn send(name: &str, text: &str) -> io::Result<()> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None if name.starts_with('/') => SocketAddr::from_pathname(name)?,
        None => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor an abstract socket"));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    socket.send_to_addr(text.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_socket_hears_the_text() -> io::Result<()> {
        let name = format!("hostgw-notify-test-{}", std::process::id());
        let heard = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        send(&format!("@{name}"), "READY=1")?;
        let mut buffer = [0; 64];
        let length = heard.recv(&mut buffer)?;
        assert_eq!(&buffer[..length], b"READY=1");
        Ok(())
    }

    #[test]
    fn nobody_there_and_other_kinds_of_names_are_errors() {
        assert!(send("/nonexistent/notify", "READY=1").is_err());
        assert!(send("vsock:2:1234", "READY=1").is_err());
        assert!(send("", "READY=1").is_err());
    }
}
