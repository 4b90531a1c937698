module story

go 1.27
