//! Vector tiles: what a map shows of one square of the world at one scale.
//!
//! The format is that of <https://github.com/mapbox/vector-tile-spec/tree/master/2.1>, the squares are those of the
//! web: `2^zoom` by `2^zoom` of them make up the world in Web Mercator, counted from the north-west. A tile says
//! what is there in layers:
//!
//! | layer | geometry | holds |
//! |---|---|---|
//! | `landuse` | areas | land use and land cover, parks, grounds of schools and hospitals |
//! | `water` | areas, lines | lakes, rivers, streams, coasts |
//! | `roads` | lines, areas | roads, paths, railways, aerialways |
//! | `buildings` | areas | buildings |
//! | `boundaries` | lines | borders; `level` is the `admin_level` |
//! | `places` | points | countries, towns, villages |
//! | `pois` | points | all other nodes |
//! | `others` | lines, areas | everything else: walls, power lines, ways without tags |
//!
//! A feature has `element` (`way/123`), `class` (`residential`, `forest`), and, where it has them, `name`, `ref`,
//! `poi` (what else it is, as a building that is a school), `level`, `layer`, `bridge`, `tunnel` and `ele`; `forked`
//! is true if its element has several heads, each of which is drawn. A zoom of [`MAX_ZOOM`] shows everything that
//! a box query finds, but for relations that are no area; lesser ones show what is large or important enough, with
//! simpler lines. Beyond it, enlarge.
//!
//! ```
//! use osmdb::tile::TileId;
//! use osmdb::{Coord, Db, Payload, Tags};
//! let db = Db::in_memory("osm")?;
//! let tags = Tags::from([("place", "town"), ("name", "Encamp")]);
//! db.create(Payload::Node { coord: Coord::new(425_361_000, 15_828_000)?, tags })?;
//! let tile = TileId::new(8, 129, 94).ok_or("no such tile")?;
//! let bytes = db.snapshot().tile(tile)?;
//! assert!(bytes.windows(6).any(|part| part == b"Encamp"));
//! // North of it there is nothing.
//! assert!(db.snapshot().tile(TileId::new(8, 129, 93).ok_or("no such tile")?)?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod changed;
mod classes;
mod clip;
mod gather;
mod grid;
mod mvt;
mod relations;
mod simplify;
#[cfg(test)]
mod tests;

use std::sync::Mutex;

use prolly::PageSource;

pub use self::cache::{MAX_CACHE_BYTES, Tile, Tiles};
pub use self::gather::{MAX_TILE_BYTES, MAX_TILE_FEATURES};
pub use self::grid::{BUFFER, EXTENT, MAX_ZOOM, TileId};
use crate::db::Snapshot;
use crate::error::Error;

impl<S: PageSource> Snapshot<S> {
    /// Makes a vector tile. One that shows nothing has no bytes.
    ///
    /// Costs the pages of the spatial tree that cover the square, without the size classes that are too small to be
    /// seen; at small zooms, the pages that find main roads and places by their tags; and the heads of the relations
    /// that name what is there, with the ways and nodes of those that are areas. If the database has forks, also the
    /// pages of `heads` up to the last of them. [`Tiles`] remembers areas, forks and tiles.
    ///
    /// See the [module](crate::tile) for an example.
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn tile(&self, tile: TileId) -> Result<Vec<u8>, Error> {
        let forked = changed::forked(self)?;
        gather::tile(self, tile, &forked, &Mutex::default())
    }
}
