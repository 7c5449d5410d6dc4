"""Reports to people: mail, webhooks and chat, through Apprise."""
