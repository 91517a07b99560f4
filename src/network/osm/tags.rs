//! The tags of one OSM element.

/// Keys and values as the file has them.
pub(super) struct Tags<'a>(pub(super) Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(name, _)| *name == key)
            .map(|&(_, value)| value)
    }

    /// The value of the first of `keys` that is there.
    pub(super) fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Whether one of `keys` has one of `values`.
    pub(super) fn is_any(&self, keys: &[&str], values: &[&str]) -> bool {
        keys.iter()
            .filter_map(|key| self.get(key))
            .any(|value| values.contains(&value))
    }

    /// Whether `key` is there and not `no`.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value != "no")
    }
}
