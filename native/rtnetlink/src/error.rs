//! Why a call as a whole failed, said as one sentence.

use std::{fmt, io};

#[derive(Debug)]
pub enum Error {
    /// A system call failed.
    System { doing: &'static str, source: io::Error },
    /// The kernel refused a request.
    Refused { doing: &'static str, errno: i32, sentence: Option<String> },
    /// Every attempt at a dump was overtaken by changes.
    Interrupted { doing: &'static str, attempts: u32 },
}

impl Error {
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { doing, source } => write!(f, "cannot {doing}: {source}"),
            Self::Refused { doing, errno, sentence } => {
                let usual = io::Error::from_raw_os_error(*errno);
                match sentence {
                    Some(sentence) => write!(f, "cannot {doing}: {sentence} ({usual})"),
                    None => write!(f, "cannot {doing}: {usual}"),
                }
            }
            Self::Interrupted { doing, attempts } => {
                write!(f, "cannot {doing}: they changed during each of {attempts} attempts")
            }
        }
    }
}

impl std::error::Error for Error {}
