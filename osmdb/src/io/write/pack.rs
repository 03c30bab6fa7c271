//! Packing what is written into a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::super::error::Compression;

/// A file that is packed on the way, or not.
pub(super) enum Pack {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Bzip2(BzEncoder<BufWriter<File>>),
    Zstd(ZstdEncoder<'static, BufWriter<File>>),
}

impl Pack {
    pub(super) fn new(file: File, compression: Option<Compression>) -> io::Result<Self> {
        let file = BufWriter::new(file);
        Ok(match compression {
            None => Self::Plain(file),
            Some(Compression::Gzip) => Self::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Some(Compression::Bzip2) => Self::Bzip2(BzEncoder::new(file, bzip2::Compression::default())),
            Some(Compression::Zstd) => {
                let mut packed = ZstdEncoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                // As the program does, so that damage is noticed.
                packed.include_checksum(true)?;
                Self::Zstd(packed)
            }
        })
    }

    /// Writes what is still held back, and returns the file.
    pub(super) fn finish(self) -> io::Result<File> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(packed) => packed.finish()?,
            Self::Bzip2(packed) => packed.finish()?,
            Self::Zstd(packed) => packed.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Pack {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(buf),
            Self::Gzip(packed) => packed.write(buf),
            Self::Bzip2(packed) => packed.write(buf),
            Self::Zstd(packed) => packed.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(packed) => packed.flush(),
            Self::Bzip2(packed) => packed.flush(),
            Self::Zstd(packed) => packed.flush(),
        }
    }
}
