//! Tags: what an element says of itself.

/// Keys and values in the order they were given.
///
/// The order is kept because an import must be able to write again what it read.
///
/// ```
/// let tags = osmdb::Tags::from([("amenity", "hospital"), ("name", "Hôpital")]);
/// assert_eq!(tags.get("amenity"), Some("hospital"));
/// assert_eq!(tags.get("shop"), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// Returns an empty list of tags.
    ///
    /// ```
    /// assert!(osmdb::Tags::new().is_empty());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a tag at the end.
    ///
    /// ```
    /// let mut tags = osmdb::Tags::from([("natural", "spring")]);
    /// tags.push("name", "Old Spring");
    /// assert_eq!(tags, osmdb::Tags::from([("natural", "spring"), ("name", "Old Spring")]));
    /// ```
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push((key.into(), value.into()));
    }

    /// Replaces the value of a key, or adds the tag at the end.
    ///
    /// ```
    /// let mut tags = osmdb::Tags::from([("drinking_water", "unknown"), ("natural", "spring")]);
    /// tags.set("drinking_water", "yes");
    /// assert_eq!(tags, osmdb::Tags::from([("drinking_water", "yes"), ("natural", "spring")]));
    /// ```
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value.into(),
            None => self.push(key, value),
        }
    }

    /// Returns the first value of a key.
    ///
    /// ```
    /// let tags = osmdb::Tags::from([("natural", "spring")]);
    /// assert_eq!((tags.get("natural"), tags.get("name")), (Some("spring"), None));
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Iterates over keys and values in their order.
    ///
    /// ```
    /// let tags = osmdb::Tags::from([("natural", "spring"), ("name", "Old Spring")]);
    /// let shown: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    /// assert_eq!(shown, ["natural=spring", "name=Old Spring"]);
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Returns how many tags there are.
    ///
    /// ```
    /// assert_eq!(osmdb::Tags::from([("natural", "spring"), ("name", "Old Spring")]).len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no tag.
    ///
    /// ```
    /// assert!(!osmdb::Tags::from([("natural", "spring")]).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Tags {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}
