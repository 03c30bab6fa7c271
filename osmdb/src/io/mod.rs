//! Reading OSM files.
