"""Parts of the page that several tabs are made of."""
