//! The prometheus registry and its closed label enums.
