//! All whole-system tests, in one program: each of its own would be linked anew.

mod bad_edits;
mod bad_files;
mod convergence;
mod directories;
mod faults;
mod kill_nine;
mod merge_andorra;
mod odd_files;
mod plain_xml;
mod query_edges;
mod query_extracts;
mod real_files;
mod round_trips;
mod same_file_same_root;
mod schedules;
mod sync_schedules;
mod views_follow;
