//! What the program is told on its command line.

pub const USAGE: &str =
    "usage: hostgw-limit --device INDEX [--routes N] [--gateways N] [--metrics N] [--chunk N] [--rounds N]
  N routes 10.X.Y.0/24 (at most 65536), each through one of the gateways from 172.16.1.0 on, with metrics spread by
  gateway, --chunk messages a send (1 to 3000)";

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub device: u32,
    pub routes: u32,
    pub gateways: u32,
    pub metrics: u32,
    pub chunk: u32,
    pub rounds: u32,
}

impl Options {
    /// None for anything that is not understood or out of range.
    pub fn parse(arguments: &[String]) -> Option<Self> {
        let mut options =
            Self { device: 0, routes: 16_000, gateways: 16_000, metrics: 1024, chunk: 256, rounds: 1 };
        let (pairs, rest) = arguments.as_chunks::<2>();
        for [name, value] in pairs {
            let value = value.parse().ok()?;
            match name.as_str() {
                "--device" => options.device = value,
                "--routes" => options.routes = value,
                "--gateways" => options.gateways = value,
                "--metrics" => options.metrics = value,
                "--chunk" => options.chunk = value,
                "--rounds" => options.rounds = value,
                _ => return None,
            }
        }
        let valid = rest.is_empty()
            && options.device > 0
            && (1..=65_536).contains(&options.routes)
            && (1..=1_000_000).contains(&options.gateways)
            && options.metrics > 0
            && (1..=3000).contains(&options.chunk);
        valid.then_some(options)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> Option<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_device_is_enough() {
        let options = parse("--device 7").map(|options| (options.device, options.routes, options.chunk));
        assert_eq!(options, Some((7, 16_000, 256)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "",
            "--device",
            "--device x",
            "--device 7 --routes 65537",
            "--device 7 --chunk 0",
            "--device 7 --metrics 0",
            "--device 7 --colour 1",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
