//! Microsoft's clouds and their hosts. Tokens and addresses of one cloud do not work in
//! another (Graph page "Microsoft Graph national cloud deployments", Entra page "Microsoft
//! Entra authentication & national clouds").

use serde::Deserialize;

/// A cloud. GCC without "High" is the global one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// The public cloud.
    Global,
    /// GCC High (L4).
    UsGov,
    /// The cloud of the Department of Defense.
    UsDod,
    /// Operated by 21Vianet.
    China,
}

impl Cloud {
    /// Returns its name in relay.toml.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGov => "us-gov",
            Self::UsDod => "us-dod",
            Self::China => "china",
        }
    }

    /// Returns scheme and host of the token endpoint. China also uses a second one,
    /// `login.chinacloudapi.cn`.
    pub fn login_url(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsDod => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// Returns scheme and host of Graph, which are also its name as a resource, at the beginning
    /// of every scope.
    pub fn graph_url(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGov => "https://graph.microsoft.us",
            Self::UsDod => "https://dod-graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    /// Returns the audience that a federated token must have (Entra page "Workload identity
    /// federation").
    pub fn federation_audience(self) -> &'static str {
        match self {
            Self::Global => "api://AzureADTokenExchange",
            Self::UsGov | Self::UsDod => "api://AzureADTokenExchangeUSGov",
            Self::China => "api://AzureADTokenExchangeChina",
        }
    }

    /// Returns the hosts that uploads may go to, including their subdomains. Microsoft documents
    /// only those of the global cloud, so these are the domains of Exchange and Graph in each.
    pub fn upload_hosts(self) -> &'static [&'static str] {
        match self {
            Self::Global => &["office.com", "office365.com", "graph.microsoft.com"],
            Self::UsGov | Self::UsDod => &["office365.us", "microsoft.us"],
            Self::China => &["outlook.cn", "microsoftgraph.chinacloudapi.cn"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cloud_has_hosts_of_its_own() {
        for (cloud, name, login, graph, audience, upload) in [
            (
                Cloud::Global,
                "global",
                "login.microsoftonline.com",
                "graph.microsoft.com",
                "api://AzureADTokenExchange",
                "outlook.office.com",
            ),
            (
                Cloud::UsGov,
                "us-gov",
                "login.microsoftonline.us",
                "graph.microsoft.us",
                "api://AzureADTokenExchangeUSGov",
                "outlook.office365.us",
            ),
            (
                Cloud::UsDod,
                "us-dod",
                "login.microsoftonline.us",
                "dod-graph.microsoft.us",
                "api://AzureADTokenExchangeUSGov",
                "outlook-dod.office365.us",
            ),
            (
                Cloud::China,
                "china",
                "login.partner.microsoftonline.cn",
                "microsoftgraph.chinacloudapi.cn",
                "api://AzureADTokenExchangeChina",
                "partner.outlook.cn",
            ),
        ] {
            assert_eq!(cloud.name(), name);
            assert_eq!(cloud.login_url(), format!("https://{login}"));
            assert_eq!(cloud.graph_url(), format!("https://{graph}"));
            assert_eq!(cloud.federation_audience(), audience);
            let hosts = cloud.upload_hosts();
            let is_below = |host: &&&str| upload.ends_with(&format!(".{host}"));
            assert!(hosts.iter().any(|host| is_below(&host)), "{upload}");
            assert!(!hosts.iter().any(|host| "evil.example".ends_with(host)));
        }
    }
}
